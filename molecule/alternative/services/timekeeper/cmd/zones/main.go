// Command zones prints the time zones that clock is usually started with. It is no service.
package main

import "fmt"

func main() {
	for _, zone := range []string{"UTC", "Europe/Berlin", "Asia/Tokyo"} {
		fmt.Println(zone)
	}
}
