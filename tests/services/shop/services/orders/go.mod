module example.org/shop/orders

go 1.21

require example.org/shop/shared v0.0.0

replace example.org/shop/shared => ../../shared
