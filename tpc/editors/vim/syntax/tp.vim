" Tensor Programs (tpc). Vim syntax file.
if exists("b:current_syntax")
  finish
endif
syntax case match
syntax sync minlines=100
setlocal commentstring=#\ %s expandtab shiftwidth=4 softtabstop=4
" letters of all alphabets are in names
setlocal iskeyword=@,48-57,_,192-255,880-1023

syntax keyword tpWord program width dim input matrix vector output def return for sum mean
syntax keyword tpConstant pi π e
" words only where a statement begins, before a name
syntax match tpStatement "^\s*\zs\%(check\|table\|weight\|bias\|activation\|parametrization\|network\|optimizer\|train\)\ze\s\+\K"
" words only where a line of a training begins
syntax match tpTraining "^\s\+\zs\%(batch\|loss\|update\|gradient\)\ze\%(\s\+\k\|\s*(\)"
syntax match tpTraining "\%(=\s*\)\@<=adapt\ze\s*("
syntax match tpFunction "\<\%(D\|abs\|cos\|cosh\|elu\|erf\|exp\|gelu\|hardtanh\|leaky_relu\|left_gram\|log\|max\|min\|mish\|newton_schulz\|nngp\|ntk\|onehot\|outer\|pad\|polar\|preconditioned\|relu\|relu6\|right_gram\|selu\|sigmoid\|sign\|silu\|sin\|sinh\|softplus\|softsign\|sqrt\|square\|step\|tanh\|where\)\ze\s*[('′]"
syntax match tpNumber "\<[0-9]\+\%(\.[0-9]*\)\?\%([eE][+-]\?[0-9]\+\)\?"
syntax match tpOperator "\.T\>\|[-−+*·/^@=~<>≤≥⊤ᵀ⁰¹²³⁴⁵⁶⁷⁸⁹'′]"
syntax match tpMember "\.\%(T\>\)\@!\K\k*"
syntax match tpComment "#.*$" contains=@Spell

highlight default link tpWord Keyword
highlight default link tpStatement Keyword
highlight default link tpTraining Statement
highlight default link tpFunction Function
highlight default link tpConstant Constant
highlight default link tpNumber Number
highlight default link tpOperator Operator
highlight default link tpMember Identifier
highlight default link tpComment Comment
let b:current_syntax = "tp"
