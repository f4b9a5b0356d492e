// Command lantern answers every request with "lit". It knows just enough HTTP for that, so that it is built in a moment.
//
// Two environment variables make it break its budgets: DELAY, the time until it listens, like 3s, and HOLD_MB, the memory it fills.
package main

import (
	"bufio"
	"log"
	"net"
	"os"
	"strconv"
	"strings"
	"time"
)

const answer = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 4\r\nConnection: close\r\n\r\n"

// held keeps the memory of HOLD_MB.
var held []byte

// serve reads one request to the end of its head, answers it and closes the connection.
func serve(connection net.Conn) {
	defer connection.Close()
	if err := connection.SetDeadline(time.Now().Add(5 * time.Second)); err != nil {
		return
	}
	reader := bufio.NewReader(connection)
	request, err := reader.ReadString('\n')
	for line := request; err == nil && strings.TrimSpace(line) != ""; {
		line, err = reader.ReadString('\n')
	}
	if err != nil {
		return
	}
	text := answer
	if !strings.HasPrefix(request, "HEAD ") {
		text += "lit\n"
	}
	if _, err := connection.Write([]byte(text)); err != nil {
		log.Print(err)
	}
}

func main() {
	if text := os.Getenv("DELAY"); text != "" {
		delay, err := time.ParseDuration(text)
		if err != nil {
			log.Fatal(err)
		}
		time.Sleep(delay)
	}
	if text := os.Getenv("HOLD_MB"); text != "" {
		size, err := strconv.Atoi(text)
		if err != nil {
			log.Fatal(err)
		}
		held = make([]byte, size*1_000_000)
		for i := range held {
			held[i] = 1
		}
	}
	listener, err := net.Listen("tcp", ":"+os.Getenv("PORT"))
	if err != nil {
		log.Fatal(err)
	}
	for {
		connection, err := listener.Accept()
		if err != nil {
			log.Fatal(err)
		}
		go serve(connection)
	}
}
