// Package stock is what both commands of the module use.
package stock

// Prices are the prices of what is in stock, in cents.
var Prices = map[string]int{"pen": 120, "ink": 2005}
