// Import is the module's other command: no service.
package main

import (
	"fmt"

	"example.org/shop/orders/internal/stock"
)

func main() { fmt.Println(len(stock.Prices), "articles") }
