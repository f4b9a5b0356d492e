module example.org/canary

go 1.24
