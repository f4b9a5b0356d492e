package main

import (
	"bytes"
	"fmt"
	"os"

	"go.yaml.in/yaml/v3"
)

// Prices is the configuration file: a currency, and what each item costs in hundredths of it.
type Prices struct {
	Currency string         `yaml:"currency"`
	Items    map[string]int `yaml:"items"`
}

// readPrices reads the file, and refuses one with unknown names, without a currency or with a price below zero.
func readPrices(path string) (Prices, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return Prices{}, err
	}
	var prices Prices
	decoder := yaml.NewDecoder(bytes.NewReader(content))
	decoder.KnownFields(true)
	if err := decoder.Decode(&prices); err != nil {
		return Prices{}, fmt.Errorf("%s: %w", path, err)
	}
	if prices.Currency == "" {
		return Prices{}, fmt.Errorf("%s: currency is missing", path)
	}
	for item, cents := range prices.Items {
		if cents < 0 {
			return Prices{}, fmt.Errorf("%s: the price of %s is below zero", path, item)
		}
	}
	return prices, nil
}
