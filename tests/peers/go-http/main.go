// An unchanged Go program: go-http net/http URL makes three calls and prints what came of them as JSON.
package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
)

func call(method, url string, body []byte, headers map[string]string) []byte {
	request, err := http.NewRequest(method, url, bytes.NewReader(body))
	if err != nil {
		fail(err)
	}
	for name, value := range headers {
		request.Header.Set(name, value)
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		fail(err)
	}
	defer answer.Body.Close()
	content, err := io.ReadAll(answer.Body)
	if err != nil {
		fail(err)
	}
	return content
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

func main() {
	library, base := os.Args[1], os.Args[2]
	body := make([]byte, 1<<20)
	for index := range body {
		body[index] = byte(index % 251)
	}
	sum := sha256.Sum256(call("GET", base+"/bytes/300000", nil, nil))
	_ = json.NewEncoder(os.Stdout).Encode(map[string]any{
		"echo":   json.RawMessage(call("GET", base+"/echo", nil, map[string]string{"X-Client": library})),
		"digest": json.RawMessage(call("POST", base+"/digest", body, nil)),
		"sha256": hex.EncodeToString(sum[:]),
	})
}
