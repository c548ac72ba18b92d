"""What notebooks and reports show: HTML made of plain data, in which all text is escaped.

Types of other rooms import it when they are displayed, and not before.
"""
