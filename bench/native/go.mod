module ipdr.bench/native

go 1.22
