// Load that comes at a rate, and the upstream behind the gateway, for bench/overload.ts: open-loop, on kept connections, in a
// program that needs so little of its core that what it measures is the gateway and not itself.
//
//	load upstream ANSWER MS                     prints its port; answers every request so much later
//	load drive PORT REQUEST RATE SECONDS WARM   prints one line of JSON: all times in microseconds
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"runtime"
	"sort"
	"strconv"
	"strings"
	"sync"
	"time"
)

const connectionsMax = 12000

func main() {
	runtime.GOMAXPROCS(1)
	if len(os.Args) == 4 && os.Args[1] == "upstream" {
		upstream(read(os.Args[2]), time.Duration(number(os.Args[3])*float64(time.Millisecond)))
	} else if len(os.Args) == 7 && os.Args[1] == "drive" {
		drive(os.Args[2], read(os.Args[3]), number(os.Args[4]), number(os.Args[5]), number(os.Args[6]))
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

type link struct {
	peer   net.Conn
	sentAt time.Time
}

type result struct {
	Good    []int64 `json:"good"`
	Shed    []int64 `json:"shed"`
	Other   int     `json:"other"`
	NotSent int     `json:"notSent"`
	// How late the load itself was: what it measures is no more exact than that.
	LateP99 int64 `json:"lateP99"`
}

type load struct {
	port      string
	request   []byte
	mutex     sync.Mutex
	recording bool
	idle      []*link
	open      int
	late      []int64
	found     result
}

func drive(port string, request []byte, rate, seconds, warm float64) {
	this := load{port: port, request: request, found: result{Good: []int64{}, Shed: []int64{}}}
	start := time.Now()
	for sent := 0.0; ; {
		now := time.Since(start).Seconds()
		if now >= seconds {
			break
		}
		this.mutex.Lock()
		this.recording = now >= seconds*warm
		this.mutex.Unlock()
		for ; sent < now*rate; sent++ {
			this.one(int64((time.Since(start).Seconds() - sent/rate) * 1e6))
		}
		time.Sleep(500 * time.Microsecond)
	}
	this.mutex.Lock()
	sort.Slice(this.late, func(a, b int) bool { return this.late[a] < this.late[b] })
	if len(this.late) > 0 {
		this.found.LateP99 = this.late[len(this.late)*99/100]
	}
	json.NewEncoder(os.Stdout).Encode(this.found)
}

// Sends one request, on the connection that was used last.
func (this *load) one(late int64) {
	this.mutex.Lock()
	if this.recording {
		this.late = append(this.late, late)
	}
	if count := len(this.idle); count > 0 {
		each := this.idle[count-1]
		this.idle = this.idle[:count-1]
		this.mutex.Unlock()
		this.send(each)
		return
	}
	fits := this.open < connectionsMax
	if fits {
		this.open++
	} else if this.recording {
		this.found.NotSent++
	}
	this.mutex.Unlock()
	if fits {
		go this.hear()
	}
}

func (this *load) send(each *link) {
	each.sentAt = time.Now()
	if _, err := each.peer.Write(this.request); err != nil {
		each.peer.Close()
	}
}

func (this *load) hear() {
	if peer, err := net.Dial("tcp", "127.0.0.1:"+this.port); err == nil {
		each := &link{peer: peer}
		this.send(each)
		answers := bufio.NewReaderSize(peer, 16384)
		for {
			status, err := readAnswer(answers)
			if err != nil {
				break
			}
			this.note(time.Since(each.sentAt).Microseconds(), status)
			this.mutex.Lock()
			this.idle = append(this.idle, each)
			this.mutex.Unlock()
		}
	}
	this.mutex.Lock()
	this.open--
	this.mutex.Unlock()
}

// Reads one answer to its end and gives its status. Answers have a Content-Length.
func readAnswer(from *bufio.Reader) (string, error) {
	status, length := "", 0
	for {
		line, err := from.ReadSlice('\n')
		if err != nil {
			return "", err
		}
		if status == "" {
			status = string(line[9:min(len(line), 12)])
		} else if len(line) <= 2 {
			_, err = from.Discard(length)
			return status, err
		} else if len(line) > 16 && strings.EqualFold(string(line[:15]), "content-length:") {
			if length, err = strconv.Atoi(strings.TrimSpace(string(line[15:]))); err != nil {
				return "", err
			}
		}
	}
}

func (this *load) note(took int64, status string) {
	this.mutex.Lock()
	defer this.mutex.Unlock()
	if !this.recording {
		return
	}
	switch status {
	case "200":
		this.found.Good = append(this.found.Good, took)
	case "503":
		this.found.Shed = append(this.found.Shed, took)
	default:
		this.found.Other++
	}
}
