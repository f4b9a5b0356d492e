module example.org/shop/shared

go 1.21
