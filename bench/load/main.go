// Load that comes at a rate (drive.go), and the upstream behind the gateway, for bench/overload.ts and bench/cache.ts.
//
//	load upstream ANSWER MS                     prints its port; answers every request so much later
//	load drive PORT REQUEST RATE SECONDS WARM   prints one line of JSON: all times in microseconds
package main

import (
	"fmt"
	"net"
	"os"
	"runtime"
	"strconv"
	"time"
)

func main() {
	runtime.GOMAXPROCS(1)
	if len(os.Args) == 4 && os.Args[1] == "upstream" {
		upstream(read(os.Args[2]), time.Duration(number(os.Args[3])*float64(time.Millisecond)))
	} else if len(os.Args) == 7 && os.Args[1] == "drive" {
		drive(int(number(os.Args[2])), read(os.Args[3]), number(os.Args[4]), number(os.Args[5]), number(os.Args[6]))
	} else {
		fail("see the top of main.go")
	}
}

func fail(message any) {
	fmt.Fprintln(os.Stderr, message)
	os.Exit(2)
}

func read(path string) []byte {
	bytes, err := os.ReadFile(path)
	if err != nil {
		fail(err)
	}
	return bytes
}

func number(text string) float64 {
	value, err := strconv.ParseFloat(text, 64)
	if err != nil {
		fail(err)
	}
	return value
}

// Requests come one at a time on a connection, and end with the brace that closes their body.
func upstream(answer []byte, pause time.Duration) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fail(err)
	}
	fmt.Println(listener.Addr().(*net.TCPAddr).Port)
	for {
		peer, err := listener.Accept()
		if err != nil {
			fail(err)
		}
		go func() {
			defer peer.Close()
			buffer := make([]byte, 16384)
			for {
				n, err := peer.Read(buffer)
				if err != nil {
					return
				}
				if buffer[n-1] != '}' {
					continue
				}
				time.Sleep(pause)
				if _, err := peer.Write(answer); err != nil {
					return
				}
			}
		}()
	}
}
