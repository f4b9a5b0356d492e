// Api answers for prices. It listens on a port of its own, whatever PORT says, and insists on a currency.
package main

import (
	"flag"
	"fmt"
	"log"
	"net/http"
	"strings"

	"example.org/shop/orders/internal/stock"
	"example.org/shop/shared/price"
)

func main() {
	currency := flag.String("currency", "", "currency of all prices")
	flag.Parse()
	if *currency == "" {
		log.Fatal("flag -currency is required")
	}
	http.HandleFunc("/-/ready", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ready") })
	http.HandleFunc("/price/", func(w http.ResponseWriter, r *http.Request) {
		cents, known := stock.Prices[strings.TrimPrefix(r.URL.Path, "/price/")]
		if !known {
			http.NotFound(w, r)
			return
		}
		fmt.Fprintln(w, price.Cents(cents), *currency)
	})
	log.Fatal(http.ListenAndServe(":9100", nil))
}
