// h2spec against one server: a line of JSON for each group of cases, and one for each case that failed.
package main

import (
	"encoding/json"
	"flag"
	"os"
	"time"

	"github.com/summerwind/h2spec/config"
	"github.com/summerwind/h2spec/generic"
	"github.com/summerwind/h2spec/hpack"
	"github.com/summerwind/h2spec/http2"
	"github.com/summerwind/h2spec/spec"
)

type line struct {
	Group   string `json:"group"`
	Passed  int    `json:"passed"`
	Failed  int    `json:"failed"`
	Skipped int    `json:"skipped"`
	Failure string `json:"failure,omitempty"`
}

func failures(out *json.Encoder, group *spec.TestGroup) {
	for _, test := range group.Tests {
		if test.Result == nil || !test.Result.Failed {
			continue
		}
		text := test.Desc
		if test.Result.Error != nil {
			text += ": " + test.Result.Error.Error()
		}
		out.Encode(line{Group: group.ID(), Failure: text})
	}
	for _, inner := range group.Groups {
		failures(out, inner)
	}
}

func main() {
	c := &config.Config{Host: "127.0.0.1", Path: "/", MaxHeaderLen: 4000, Strict: true, Insecure: true}
	flag.IntVar(&c.Port, "port", 0, "port of the server")
	flag.BoolVar(&c.TLS, "tls", false, "over TLS with ALPN")
	flag.DurationVar(&c.Timeout, "timeout", 2*time.Second, "how long a case waits")
	flag.Parse()
	// The cases print their own progress to the standard output.
	out := json.NewEncoder(os.Stdout)
	quiet, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		panic(err)
	}
	os.Stdout = quiet
	for _, group := range []*spec.TestGroup{generic.Spec(), http2.Spec(), hpack.Spec()} {
		group.Test(c)
		out.Encode(line{Group: group.ID(), Passed: group.PassedCount, Failed: group.FailedCount, Skipped: group.SkippedCount})
		failures(out, group)
	}
}
