// Package books knows what the ledger is called.
package books

import (
	_ "embed"

	"example.org/greeting"
)

//go:embed README.md
var title string

// Title returns a greeting and the first words of the embedded page.
func Title() string { return greeting.For("ledger") + ": " + title }
