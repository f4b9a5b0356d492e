// Quotes is a service whose one dependency is downloaded in the build.
package main

import (
	"log"
	"net/http"
	"os"

	"example.org/greeting"
)

func main() {
	http.HandleFunc("/health", func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte("ok\n")) })
	http.HandleFunc("/quote", func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte(greeting.For("quotes") + "\n")) })
	log.Fatal(http.ListenAndServe(":"+os.Getenv("PORT"), nil))
}
