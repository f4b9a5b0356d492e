// Package greeting is the third-party package of the test services.
package greeting

// For greets somebody by name.
func For(name string) string { return "Good day, " + name }
