package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/interop"
	"google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

const maxMessageBytes = 16 << 20

// gRPC's own interoperability service. A call with "x-fail" fails as often as that says, counted by "x-key", with UNAVAILABLE.
type interopServer struct {
	grpc_testing.TestServiceServer
	mutex    sync.Mutex
	attempts map[string]int
}

func (s *interopServer) UnaryCall(ctx context.Context, request *grpc_testing.SimpleRequest) (*grpc_testing.SimpleResponse, error) {
	incoming, _ := metadata.FromIncomingContext(ctx)
	if fail, key := incoming.Get("x-fail"), incoming.Get("x-key"); len(fail) > 0 && len(key) > 0 {
		times, _ := strconv.Atoi(fail[0])
		s.mutex.Lock()
		s.attempts[key[0]]++
		attempt := s.attempts[key[0]]
		s.mutex.Unlock()
		_ = grpc.SetTrailer(ctx, metadata.Pairs("x-attempt", strconv.Itoa(attempt)))
		if attempt <= times {
			return nil, status.Error(codes.Unavailable, "not yet")
		}
	}
	if sleep := incoming.Get("x-sleep-ms"); len(sleep) > 0 {
		ms, _ := strconv.Atoi(sleep[0])
		time.Sleep(time.Duration(ms) * time.Millisecond)
	}
	return s.TestServiceServer.UnaryCall(ctx, request)
}

func serveInterop(address string) {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		fail(err)
	}
	server := grpc.NewServer(grpc.MaxRecvMsgSize(maxMessageBytes))
	grpc_testing.RegisterTestServiceServer(server, &interopServer{TestServiceServer: interop.NewTestServer(), attempts: map[string]int{}})
	fail(server.Serve(listener))
}

func interopConnection(target string) *grpc.ClientConn {
	limits := grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxMessageBytes))
	// Service config from DNS must not be waited for; gRPC's own retries would hide the mesh's.
	conn, err := grpc.NewClient(target, grpc.WithTransportCredentials(insecure.NewCredentials()), limits, grpc.WithDisableRetry(), grpc.WithDisableServiceConfig())
	if err != nil {
		fail(err)
	}
	return conn
}

// The cases as gRPC describes them; one that fails ends this process.
func runCases(target, names string) {
	conn := interopConnection(target)
	defer conn.Close()
	stub := grpc_testing.NewTestServiceClient(conn)
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	cases := map[string]func(){
		"empty_unary":                 func() { interop.DoEmptyUnaryCall(ctx, stub) },
		"large_unary":                 func() { interop.DoLargeUnaryCall(ctx, stub) },
		"client_streaming":            func() { interop.DoClientStreaming(ctx, stub) },
		"server_streaming":            func() { interop.DoServerStreaming(ctx, stub) },
		"ping_pong":                   func() { interop.DoPingPong(ctx, stub) },
		"empty_stream":                func() { interop.DoEmptyStream(ctx, stub) },
		"timeout_on_sleeping_server":  func() { interop.DoTimeoutOnSleepingServer(ctx, stub) },
		"cancel_after_begin":          func() { interop.DoCancelAfterBegin(ctx, stub) },
		"cancel_after_first_response": func() { interop.DoCancelAfterFirstResponse(ctx, stub) },
		"status_code_and_message":     func() { interop.DoStatusCodeAndMessage(ctx, stub) },
		"special_status_message":      func() { interop.DoSpecialStatusMessage(ctx, stub) },
		"custom_metadata":             func() { interop.DoCustomMetadata(ctx, stub) },
		"unimplemented_method":        func() { interop.DoUnimplementedMethod(ctx, conn) },
		"unimplemented_service":       func() { interop.DoUnimplementedService(ctx, grpc_testing.NewUnimplementedServiceClient(conn)) },
		"huge_unary":                  func() { hugeUnary(ctx, stub) },
	}
	for _, name := range strings.Split(names, ",") {
		run, known := cases[name]
		if !known {
			fail(fmt.Errorf("%s: no such case", name))
		}
		fmt.Fprintln(os.Stderr, name)
		run()
	}
	fmt.Println("passed")
}

// Ten MB each way, more than any window.
func hugeUnary(ctx context.Context, stub grpc_testing.TestServiceClient) {
	const size = 10 << 20
	request := &grpc_testing.SimpleRequest{ResponseSize: size, Payload: interop.ClientNewPayload(grpc_testing.PayloadType_COMPRESSABLE, size)}
	reply, err := stub.UnaryCall(ctx, request)
	if err != nil {
		fail(err)
	}
	if got := len(reply.GetPayload().GetBody()); got != size {
		fail(fmt.Errorf("a reply of %d bytes instead of %d", got, size))
	}
}

// One unary call with metadata "name=value,...", ending after "timeout" if that is among them: what came of it as JSON.
func callOnce(target, text string) {
	conn := interopConnection(target)
	defer conn.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	for _, pair := range strings.Split(text, ",") {
		name, value, _ := strings.Cut(pair, "=")
		if name == "timeout" {
			timeout, err := time.ParseDuration(value)
			if err != nil {
				fail(err)
			}
			ctx, cancel = context.WithTimeout(ctx, timeout)
		} else if name != "" {
			ctx = metadata.AppendToOutgoingContext(ctx, name, value)
		}
	}
	defer cancel()
	var header, trailer metadata.MD
	_, err := grpc_testing.NewTestServiceClient(conn).UnaryCall(ctx, &grpc_testing.SimpleRequest{}, grpc.Header(&header), grpc.Trailer(&trailer))
	_ = json.NewEncoder(os.Stdout).Encode(map[string]any{"code": status.Code(err), "message": status.Convert(err).Message(), "header": header, "trailer": trailer})
}
