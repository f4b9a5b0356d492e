// Package phrases stands for a dependency that cannot be downloaded: it exists in the vendor directory alone.
package phrases

// At returns a phrase that tells the time.
func At(time string) string { return "it is " + time }
