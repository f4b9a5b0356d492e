// Notes serves pages that are compiled into it. Its one dependency is vendored.
package main

import (
	"embed"
	"io/fs"
	"log"
	"net/http"
	"os"

	"example.org/greeting"
)

//go:embed pages/*.md README.md
var pages embed.FS

//go:embed all:static
var static embed.FS

func main() {
	files, err := fs.Sub(static, "static")
	if err != nil {
		log.Fatal(err)
	}
	http.HandleFunc("/health", func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte("ok\n")) })
	http.HandleFunc("/greeting", func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte(greeting.For("notes") + "\n")) })
	http.Handle("/docs/", http.StripPrefix("/docs/", http.FileServer(http.FS(pages))))
	http.Handle("/static/", http.StripPrefix("/static/", http.FileServer(http.FS(files))))
	log.Fatal(http.ListenAndServe(":"+os.Getenv("PORT"), nil))
}
