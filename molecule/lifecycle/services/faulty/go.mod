module example.org/faulty

go 1.24
