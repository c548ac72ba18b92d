def print_plan(plan: object) -> str:
    return str(plan)
