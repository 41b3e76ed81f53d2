// A peer that nobody here wrote the xDS of: a gRPC client and server by grpc-go. The service is grpc.health.v1.Health, which needs no
// generated code; a server says which instance it is in the header "x-instance".
//
//	grpc-go client TARGET COUNT          -> {"instances": {"v1": 9, "v2": 1}, "errors": 0, "lastError": ""}
//	grpc-go client TARGET -              the same for each COUNT that is a line of its input, over one channel
//	grpc-go server ADDRESS INSTANCE      plain gRPC
//	grpc-go xds-server ADDRESS INSTANCE  proxyless: listeners and certificates by xDS
//
// And gRPC's own interoperability tests, as plain gRPC:
//
//	grpc-go interop-server ADDRESS -     grpc.testing.TestService
//	grpc-go interop TARGET CASE,CASE     -> passed
//	grpc-go unary TARGET NAME=VALUE,...  -> {"code": 14, "message": "...", "header": {...}, "trailer": {...}}
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"strconv"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	xdscreds "google.golang.org/grpc/credentials/xds"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/xds"
)

type health struct {
	grpc_health_v1.UnimplementedHealthServer
	instance string
}

func (h health) Check(ctx context.Context, _ *grpc_health_v1.HealthCheckRequest) (*grpc_health_v1.HealthCheckResponse, error) {
	_ = grpc.SetHeader(ctx, metadata.Pairs("x-instance", h.instance))
	return &grpc_health_v1.HealthCheckResponse{Status: grpc_health_v1.HealthCheckResponse_SERVING}, nil
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

// Calls count times; the first one waits until there is somebody to call, if wait says so.
func call(stub grpc_health_v1.HealthClient, count int, wait bool) {
	instances, failures, last := map[string]int{}, 0, ""
	for i := 0; i < count; i++ {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		var header metadata.MD
		if _, err := stub.Check(ctx, &grpc_health_v1.HealthCheckRequest{}, grpc.Header(&header), grpc.WaitForReady(wait && i == 0)); err != nil {
			failures, last = failures+1, err.Error()
		} else if values := header.Get("x-instance"); len(values) > 0 {
			instances[values[0]]++
		}
		cancel()
	}
	_ = json.NewEncoder(os.Stdout).Encode(map[string]any{"instances": instances, "errors": failures, "lastError": last})
}

func client(target, count string) {
	creds, err := xdscreds.NewClientCredentials(xdscreds.ClientOptions{FallbackCreds: insecure.NewCredentials()})
	if err != nil {
		fail(err)
	}
	conn, err := grpc.NewClient(target, grpc.WithTransportCredentials(creds))
	if err != nil {
		fail(err)
	}
	defer conn.Close()
	stub := grpc_health_v1.NewHealthClient(conn)
	if count != "-" {
		call(stub, number(count), true)
		return
	}
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		call(stub, number(lines.Text()), false)
	}
}

func number(text string) int {
	count, err := strconv.Atoi(text)
	if err != nil {
		fail(err)
	}
	return count
}

func serve(address, instance string, proxyless bool) {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		fail(err)
	}
	service := health{instance: instance}
	if !proxyless {
		server := grpc.NewServer()
		grpc_health_v1.RegisterHealthServer(server, service)
		fail(server.Serve(listener))
	}
	creds, err := xdscreds.NewServerCredentials(xdscreds.ServerOptions{FallbackCreds: insecure.NewCredentials()})
	if err != nil {
		fail(err)
	}
	server, err := xds.NewGRPCServer(grpc.Creds(creds))
	if err != nil {
		fail(err)
	}
	grpc_health_v1.RegisterHealthServer(server, service)
	fail(server.Serve(listener))
}

func main() {
	if len(os.Args) != 4 {
		fail(fmt.Errorf("usage: grpc-go MODE ADDRESS ARGUMENT"))
	}
	switch os.Args[1] {
	case "client":
		client(os.Args[2], os.Args[3])
	case "server", "xds-server":
		serve(os.Args[2], os.Args[3], os.Args[1] == "xds-server")
	case "interop-server":
		serveInterop(os.Args[2])
	case "interop":
		runCases(os.Args[2], os.Args[3])
	case "unary":
		callOnce(os.Args[2], os.Args[3])
	default:
		fail(fmt.Errorf("%s: no such mode", os.Args[1]))
	}
}
