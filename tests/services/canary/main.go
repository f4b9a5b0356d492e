// Command canary is a service that tells its secret to everybody, for the test of what a run makes of it.
//
// It writes its environment variable SECRET to its log in the forms that programs use, with characters that a terminal obeys around it, and
// answers every request. It ends at once where MODE is "exit", and where MODE is "second" at its second start, which it counts in /state.
package main

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
	"os"
)

func starts() int {
	counter, err := os.OpenFile("/state/starts", os.O_APPEND|os.O_CREATE|os.O_RDWR, 0o666)
	if err != nil {
		return 0
	}
	defer counter.Close()
	fmt.Fprint(counter, ".")
	written, err := counter.Stat()
	if err != nil {
		return 0
	}
	return int(written.Size())
}

func main() {
	secret := os.Getenv("SECRET")
	fmt.Printf("\x1b[2J\x1b]0;owned\x07 connecting with %s \u202e\n", secret)
	fmt.Printf("quoted %q, url %s, base64 %s\n", secret, url.QueryEscape(secret), base64.StdEncoding.EncodeToString([]byte("user:"+secret)))
	mode := os.Getenv("MODE")
	if mode == "exit" || (mode == "second" && starts() > 1) {
		os.Exit(3)
	}
	answer := func(writer http.ResponseWriter, _ *http.Request) { fmt.Fprint(writer, "ok") }
	if err := http.ListenAndServe(":"+os.Getenv("PORT"), http.HandlerFunc(answer)); err != nil {
		panic(err)
	}
}
