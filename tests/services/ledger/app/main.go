// Ledger is a service of a workspace: what it serves, and the package that is downloaded for it, come from another module of the workspace.
package main

import (
	"log"
	"net/http"
	"os"

	"example.org/ledger/lib/books"
)

func main() {
	http.HandleFunc("/health", func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte("ok\n")) })
	http.HandleFunc("/title", func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte(books.Title())) })
	log.Fatal(http.ListenAndServe(":"+os.Getenv("PORT"), nil))
}
