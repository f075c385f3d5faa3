// Open-loop load on kept connections. One thread that waits for answers and for the moment of the next request at once, by
// epoll with a deadline in nanoseconds: goroutines and their timers sent in bursts of a millisecond, and so measured
// themselves.
package main

import (
	"bytes"
	"encoding/json"
	"os"
	"sort"
	"strconv"
	"strings"
	"syscall"
	"time"
	"unsafe"
)

const connectionsMax = 12000

// The kernel's number on x86-64 and arm64; Go's own list ends before it.
const epollPwait2 = 441

type result struct {
	Good    []int64 `json:"good"`
	Shed    []int64 `json:"shed"`
	Other   int     `json:"other"`
	NotSent int     `json:"notSent"`
	// How late the load itself was: what it measures is no more exact than that.
	LateP99 int64 `json:"lateP99"`
}

// A connection. It has one request at a time.
type link struct {
	descriptor int
	connected  bool
	sentAt     time.Time
	// What came of the answer's head, until it is whole.
	head   []byte
	inBody bool
	// Bytes of the body that are still to come.
	left   int
	status string
}

type load struct {
	port      int
	request   []byte
	epoll     int
	recording bool
	idle      []*link
	links     map[int32]*link
	late      []int64
	found     result
	buffer    []byte
}

func drive(port int, request []byte, rate, seconds, warm float64) {
	epoll, err := syscall.EpollCreate1(0)
	if err != nil {
		fail(err)
	}
	this := load{
		port: port, request: request, epoll: epoll, links: map[int32]*link{}, buffer: make([]byte, 65536),
		found: result{Good: []int64{}, Shed: []int64{}},
	}
	start := time.Now()
	events := make([]syscall.EpollEvent, 256)
	for sent := 0.0; ; {
		now := time.Since(start).Seconds()
		if now >= seconds {
			break
		}
		this.recording = now >= seconds*warm
		// A few at a time: answers that come meanwhile are not to wait for all that is due.
		for few := 0; few < 8 && sent < now*rate; few++ {
			this.one(int64((time.Since(start).Seconds() - sent/rate) * 1e6))
			sent++
		}
		wait := time.Duration((sent/rate - time.Since(start).Seconds()) * 1e9)
		for _, event := range events[:this.wait(events, wait)] {
			this.happened(this.links[event.Fd], event.Events)
		}
	}
	sort.Slice(this.late, func(a, b int) bool { return this.late[a] < this.late[b] })
	if len(this.late) > 0 {
		this.found.LateP99 = this.late[len(this.late)*99/100]
	}
	json.NewEncoder(os.Stdout).Encode(this.found)
}

func (this *load) wait(events []syscall.EpollEvent, most time.Duration) int {
	limit := syscall.NsecToTimespec(max(0, most.Nanoseconds()))
	count, _, code := syscall.Syscall6(epollPwait2, uintptr(this.epoll), uintptr(unsafe.Pointer(&events[0])),
		uintptr(len(events)), uintptr(unsafe.Pointer(&limit)), 0, 0)
	if code == syscall.EINTR {
		return 0
	}
	if code != 0 {
		fail("epoll_pwait2: " + code.Error() + " (it needs Linux 5.11)")
	}
	return int(count)
}

// Sends one request, on the connection that was used last.
func (this *load) one(late int64) {
	if this.recording {
		this.late = append(this.late, late)
	}
	if count := len(this.idle); count > 0 {
		each := this.idle[count-1]
		this.idle = this.idle[:count-1]
		this.send(each)
	} else if len(this.links) < connectionsMax {
		this.connect()
	} else if this.recording {
		this.found.NotSent++
	}
}

// Opens a connection and sends on it. The time of its request counts from here.
func (this *load) connect() {
	descriptor, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_NONBLOCK|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		fail(err)
	}
	syscall.SetsockoptInt(descriptor, syscall.IPPROTO_TCP, syscall.TCP_NODELAY, 1)
	each := &link{descriptor: descriptor, sentAt: time.Now()}
	to := syscall.SockaddrInet4{Port: this.port, Addr: [4]byte{127, 0, 0, 1}}
	if err := syscall.Connect(descriptor, &to); err != nil && err != syscall.EINPROGRESS {
		syscall.Close(descriptor)
		return
	}
	this.links[int32(descriptor)] = each
	this.watch(each, syscall.EPOLL_CTL_ADD, syscall.EPOLLIN|syscall.EPOLLOUT)
}

func (this *load) watch(each *link, how int, events uint32) {
	event := syscall.EpollEvent{Events: events, Fd: int32(each.descriptor)}
	if err := syscall.EpollCtl(this.epoll, how, each.descriptor, &event); err != nil {
		fail(err)
	}
}

func (this *load) send(each *link) {
	each.sentAt = time.Now()
	this.write(each)
}

// A request fits into an empty socket; what does not is a connection that is broken.
func (this *load) write(each *link) {
	each.head, each.inBody, each.left = each.head[:0], false, 0
	if n, err := syscall.Write(each.descriptor, this.request); err != nil || n < len(this.request) {
		this.close(each)
	}
}

func (this *load) close(each *link) {
	syscall.Close(each.descriptor)
	delete(this.links, int32(each.descriptor))
	// It may lie idle.
	for at, other := range this.idle {
		if other == each {
			this.idle = append(this.idle[:at], this.idle[at+1:]...)
			break
		}
	}
}

func (this *load) happened(each *link, events uint32) {
	if each == nil {
		return
	}
	if !each.connected {
		if events&(syscall.EPOLLERR|syscall.EPOLLHUP) != 0 {
			this.close(each)
			return
		}
		each.connected = true
		this.watch(each, syscall.EPOLL_CTL_MOD, syscall.EPOLLIN)
		this.write(each)
		return
	}
	n, err := syscall.Read(each.descriptor, this.buffer)
	if err == syscall.EAGAIN {
		return
	}
	if err != nil || n == 0 {
		this.close(each)
		return
	}
	if each.heard(this.buffer[:n]) {
		this.note(time.Since(each.sentAt).Microseconds(), each.status)
		this.idle = append(this.idle, each)
	}
}

// Takes bytes of an answer, which has a Content-Length; whether it is whole.
func (each *link) heard(part []byte) bool {
	if !each.inBody {
		each.head = append(each.head, part...)
		end := bytes.Index(each.head, []byte("\r\n\r\n"))
		if end < 0 {
			return false
		}
		lines := strings.Split(string(each.head[:end]), "\r\n")
		each.status = lines[0][min(9, len(lines[0])):min(12, len(lines[0]))]
		for _, line := range lines[1:] {
			if name, value, _ := strings.Cut(line, ":"); strings.EqualFold(name, "content-length") {
				each.left, _ = strconv.Atoi(strings.TrimSpace(value))
			}
		}
		each.inBody = true
		part = each.head[end+4:]
	}
	each.left -= len(part)
	return each.left <= 0
}

func (this *load) note(took int64, status string) {
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
