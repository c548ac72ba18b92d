autocmd BufRead,BufNewFile *.tp setfiletype tp
