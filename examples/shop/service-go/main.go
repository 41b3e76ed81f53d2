// One service of the shop, in Go's standard library. See ../service.mjs: the same behaviour.
package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"sync/atomic"
)

func env(name, fallback string) string {
	if value := os.Getenv(name); value != "" {
		return value
	}
	return fallback
}

func main() {
	name, version, next := env("NAME", "service"), env("VERSION", "v1"), os.Getenv("NEXT")
	var failWith atomic.Int64
	answer := func(w http.ResponseWriter, status int, body map[string]any) {
		w.Header().Set("content-type", "application/json")
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(body)
	}
	http.HandleFunc("/healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	http.HandleFunc("/fail", func(w http.ResponseWriter, r *http.Request) {
		status, _ := strconv.Atoi(r.URL.Query().Get("status"))
		failWith.Store(int64(status))
		fmt.Fprintln(w, name, "answers", status)
	})
	http.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		if status := int(failWith.Load()); status != 0 {
			answer(w, status, map[string]any{"service": name, "version": version, "error": "told to fail"})
			return
		}
		body := map[string]any{"service": name, "version": version, "path": r.URL.Path}
		if next != "" {
			request, _ := http.NewRequestWithContext(r.Context(), http.MethodGet, next, nil)
			for _, header := range []string{"traceparent", "x-request-id"} {
				if value := r.Header.Get(header); value != "" {
					request.Header.Set(header, value)
				}
			}
			response, err := http.DefaultClient.Do(request)
			if err != nil {
				answer(w, http.StatusBadGateway, map[string]any{"service": name, "version": version, "error": err.Error()})
				return
			}
			defer response.Body.Close()
			text, _ := io.ReadAll(response.Body)
			if response.StatusCode >= 400 {
				status := response.StatusCode
				if status >= 500 {
					status = http.StatusInternalServerError
				}
				answer(w, status, map[string]any{"service": name, "version": version, "error": fmt.Sprint(next, " answered ", response.StatusCode)})
				return
			}
			body["next"] = json.RawMessage(text)
		}
		answer(w, http.StatusOK, body)
	})
	if err := http.ListenAndServe("127.0.0.1:"+env("PORT", "9000"), nil); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
