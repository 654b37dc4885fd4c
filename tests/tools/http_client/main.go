// Speaks to the agent as Go programs do: http_client PORT SOCKET. Says "fine" if every answer is as it must be.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"
)

func must(ok bool, what ...any) {
	if !ok {
		fmt.Println(what...)
		os.Exit(1)
	}
}

func ask(client *http.Client, method, url string, body io.Reader, header ...string) (*http.Response, string) {
	request, err := http.NewRequest(method, url, body)
	must(err == nil, err)
	for i := 0; i+1 < len(header); i += 2 {
		request.Header.Set(header[i], header[i+1])
	}
	answer, err := client.Do(request)
	must(err == nil, err)
	text, err := io.ReadAll(answer.Body)
	must(err == nil, err)
	answer.Body.Close()
	return answer, string(text)
}

// A reader of unknown length makes net/http send chunks.
type unsized struct{ io.Reader }

func check(client *http.Client, base string) {
	var names []string
	answer, text := ask(client, "GET", base+"/me/ns", nil)
	must(answer.StatusCode == 200 && json.Unmarshal([]byte(text), &names) == nil && names[0] == "test.loda", text)
	answer, text = ask(client, "HEAD", base+"/me/status", nil)
	must(answer.StatusCode == 200 && text == "" && answer.ContentLength > 100, "HEAD", answer.ContentLength)
	points := "[" + strings.Repeat(`{"name":"orders.paid","value":1},`, 5000) + `{"name":"a","value":2}]`
	answer, text = ask(client, "POST", base+"/post?ns=test.loda", strings.NewReader(points))
	must(answer.StatusCode == 200 && text == "send data to MQ success\n", text)
	answer, text = ask(client, "POST", base+"/post?ns=test.loda", unsized{strings.NewReader(points)})
	must(answer.StatusCode == 200 && text == "send data to MQ success\n", "chunked", text)
	answer, text = ask(client, "POST", base+"/post?ns=test.loda", strings.NewReader(points), "Expect", "100-continue")
	must(answer.StatusCode == 200, "Expect", text)
	answer, text = ask(client, "GET", base+"/plugins", nil)
	must(answer.StatusCode == 404 && strings.HasPrefix(text, "404 page not found\n"), text)
	var all sync.WaitGroup
	for i := 0; i < 50; i++ {
		all.Add(1)
		go func() {
			defer all.Done()
			answer, text := ask(client, "GET", base+"/me/status", nil)
			must(answer.StatusCode == 200 && json.Valid([]byte(text)), text)
		}()
	}
	all.Wait()
}

func tail(base string) {
	answer, err := http.Get(base + "/tail?name=RUN.live")
	must(err == nil && answer.StatusCode == 200, err)
	ask(http.DefaultClient, "POST", base+"/post?ns=test.loda", strings.NewReader(`[{"name":"live","value":1}]`))
	line, err := bufio.NewReader(answer.Body).ReadString('\n')
	must(err == nil && strings.Contains(line, `"measurement":"RUN.live"`), line, err)
	answer.Body.Close()
}

func main() {
	tcp := &http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{ExpectContinueTimeout: 10 * time.Second}}
	base := "http://127.0.0.1:" + os.Args[1]
	check(tcp, base)
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", os.Args[2])
	}
	check(&http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{DialContext: dial}}, "http://loda:1234")
	tail(base)
	fmt.Println("fine")
}
