// Command desk is a service with what ordinary services have beside a port: files that it reads, directories that it writes to, TLS, a health
// test of its own, a second port, secrets in files, and a signal to stop it.
package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"flag"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"
)

func certificate() tls.Certificate {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	template := x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), DNSNames: []string{"desk"}}
	signed, err := x509.CreateCertificate(rand.Reader, &template, &template, &key.PublicKey, key)
	if err != nil {
		panic(err)
	}
	return tls.Certificate{Certificate: [][]byte{signed}, PrivateKey: key}
}

// health answers who asks with the header that the environment names, where it names one.
func health(response http.ResponseWriter, request *http.Request) {
	if wanted := os.Getenv("DESK_HEADER"); request.Header.Get("X-Desk") != wanted {
		http.Error(response, "who asks?", http.StatusForbidden)
	}
	fmt.Fprint(response, "ok")
}

func read(response http.ResponseWriter, request *http.Request) {
	content, err := os.ReadFile(request.FormValue("path"))
	if err != nil {
		http.Error(response, err.Error(), http.StatusNotFound)
		return
	}
	response.Write(content)
}

func write(response http.ResponseWriter, request *http.Request) {
	if err := os.WriteFile(request.FormValue("path"), []byte("written"), 0o600); err != nil {
		http.Error(response, err.Error(), http.StatusForbidden)
	}
}

func main() {
	port := os.Getenv("PORT")
	if len(os.Args) > 1 && os.Args[1] == "health" {
		if connection, err := net.Dial("tcp", "127.0.0.1:"+port); err != nil {
			fmt.Println(err)
			os.Exit(1)
		} else {
			connection.Close()
		}
		return
	}
	secure := flag.Bool("tls", false, "speak TLS")
	also := flag.String("also", "", "listen at a second address")
	needs := flag.String("needs", "", "a path to open at the start")
	flag.Parse()
	if *needs != "" {
		if _, err := os.Open(*needs); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
	}
	signals := make(chan os.Signal, 1)
	signal.Ignore(syscall.SIGTERM)
	signal.Notify(signals, syscall.SIGQUIT)
	go func() {
		<-signals
		os.Exit(0)
	}()
	http.HandleFunc("/health", health)
	http.HandleFunc("/read", read)
	http.HandleFunc("/write", write)
	if *also != "" {
		go http.ListenAndServe(*also, nil)
	}
	server := http.Server{Addr: ":" + port}
	if *secure {
		server.TLSConfig = &tls.Config{Certificates: []tls.Certificate{certificate()}}
		panic(server.ListenAndServeTLS("", ""))
	}
	panic(server.ListenAndServe())
}
