// A control plane that nobody here wrote (github.com/envoyproxy/go-control-plane) as a peer: go-control-plane ADDRESS.
// Each line of its input is a snapshot in JSON ({"node", "version", "listeners": [...], "clusters", "endpoints", "routes", "secrets"}, proto3
// JSON of Envoy's messages); each line of its output tells of a subscription, an ACK or a NACK.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"sync"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/router/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"github.com/envoyproxy/go-control-plane/pkg/cache/types"
	cachev3 "github.com/envoyproxy/go-control-plane/pkg/cache/v3"
	resourcev3 "github.com/envoyproxy/go-control-plane/pkg/resource/v3"
	serverv3 "github.com/envoyproxy/go-control-plane/pkg/server/v3"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
)

type snapshot struct {
	Node      string            `json:"node"`
	Version   string            `json:"version"`
	Listeners []json.RawMessage `json:"listeners"`
	Clusters  []json.RawMessage `json:"clusters"`
	Endpoints []json.RawMessage `json:"endpoints"`
	Routes    []json.RawMessage `json:"routes"`
	Secrets   []json.RawMessage `json:"secrets"`
}

type event struct {
	Kind    string `json:"kind"`
	TypeURL string `json:"typeUrl"`
	Nonce   string `json:"nonce,omitempty"`
	Reason  string `json:"reason,omitempty"`
}

var output sync.Mutex

func say(value any) {
	output.Lock()
	defer output.Unlock()
	line, _ := json.Marshal(value)
	fmt.Println(string(line))
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

func decode(raw []json.RawMessage, fresh func() proto.Message) ([]types.Resource, error) {
	var resources []types.Resource
	for _, text := range raw {
		message := fresh()
		if err := protojson.Unmarshal(text, message); err != nil {
			return nil, err
		}
		resources = append(resources, message)
	}
	return resources, nil
}

func (s snapshot) resources() (map[resourcev3.Type][]types.Resource, error) {
	parts := []struct {
		typeURL string
		raw     []json.RawMessage
		fresh   func() proto.Message
	}{
		{resourcev3.ListenerType, s.Listeners, func() proto.Message { return &listenerv3.Listener{} }},
		{resourcev3.ClusterType, s.Clusters, func() proto.Message { return &clusterv3.Cluster{} }},
		{resourcev3.EndpointType, s.Endpoints, func() proto.Message { return &endpointv3.ClusterLoadAssignment{} }},
		{resourcev3.RouteType, s.Routes, func() proto.Message { return &routev3.RouteConfiguration{} }},
		{resourcev3.SecretType, s.Secrets, func() proto.Message { return &tlsv3.Secret{} }},
	}
	resources := map[resourcev3.Type][]types.Resource{}
	for _, part := range parts {
		decoded, err := decode(part.raw, part.fresh)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", part.typeURL, err)
		}
		resources[part.typeURL] = decoded
	}
	return resources, nil
}

func main() {
	if len(os.Args) != 2 {
		fail(fmt.Errorf("usage: go-control-plane ADDRESS"))
	}
	listener, err := net.Listen("tcp", os.Args[1])
	if err != nil {
		fail(err)
	}
	cache := cachev3.NewSnapshotCache(true, cachev3.IDHash{}, nil)
	callbacks := serverv3.CallbackFuncs{
		StreamDeltaRequestFunc: func(_ int64, request *discoveryv3.DeltaDiscoveryRequest) error {
			kind := "subscribe"
			reason := ""
			if request.GetErrorDetail() != nil {
				kind, reason = "nack", request.GetErrorDetail().GetMessage()
			} else if request.GetResponseNonce() != "" {
				kind = "ack"
			}
			say(event{kind, request.GetTypeUrl(), request.GetResponseNonce(), reason})
			return nil
		},
	}
	server := grpc.NewServer()
	discoveryv3.RegisterAggregatedDiscoveryServiceServer(server, serverv3.NewServer(context.Background(), cache, callbacks))
	go func() {
		if err := server.Serve(listener); err != nil {
			fail(err)
		}
	}()
	say(map[string]string{"kind": "listening", "address": listener.Addr().String()})
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(make([]byte, 0, 1<<20), 1<<24)
	for lines.Scan() {
		var given snapshot
		if err := json.Unmarshal(lines.Bytes(), &given); err != nil {
			fail(err)
		}
		resources, err := given.resources()
		if err != nil {
			fail(err)
		}
		made, err := cachev3.NewSnapshot(given.Version, resources)
		if err != nil {
			fail(err)
		}
		if err := cache.SetSnapshot(context.Background(), given.Node, made); err != nil {
			fail(err)
		}
		say(map[string]string{"kind": "set", "version": given.Version})
	}
}
