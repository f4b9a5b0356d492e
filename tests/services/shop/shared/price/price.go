// Package price is shared by the services of the shop.
package price

import "fmt"

// Cents shows an amount of cents.
func Cents(amount int) string { return fmt.Sprintf("%d.%02d", amount/100, amount%100) }
