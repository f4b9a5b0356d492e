module example.com/cat-server

go 1.24
