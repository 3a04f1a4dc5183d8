// Command istiod-filters prints the HTTP filters that istiod's own code generates from the policies of each recorded case.
//
//	go run . ../../cases filters.json && gzip -9n filters.json
//
// The result is one JSON object with a line for each case: from the name of its file to its filters, in their order, as
// Envoy's API has them in JSON. What istiod says goes to standard output.
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"time"
	_ "unsafe" // for go:linkname

	hcm "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	"google.golang.org/protobuf/encoding/protojson"

	meshconfig "istio.io/api/mesh/v1alpha1"
	"istio.io/istio/pilot/pkg/config/kube/crd"
	"istio.io/istio/pilot/pkg/config/memory"
	"istio.io/istio/pilot/pkg/model"
	"istio.io/istio/pilot/pkg/security/authn"
	"istio.io/istio/pilot/pkg/security/authz/builder"
	"istio.io/istio/pilot/pkg/security/trustdomain"
	"istio.io/istio/pkg/config/mesh/meshwatcher"
	"istio.io/istio/pkg/config/schema/collections"
)

//go:linkname initAuthenticationPolicies istio.io/istio/pilot/pkg/model.initAuthenticationPolicies
func initAuthenticationPolicies(env *model.Environment) *model.AuthenticationPolicies

// recordedCase is what is needed of a file of tests/cases.
type recordedCase struct {
	Policies string `json:"policies"`
	Mode     string `json:"mode"`
	Oracle   struct {
		Status string `json:"status"`
	} `json:"oracle"`
}

func main() {
	files, err := filepath.Glob(filepath.Join(os.Args[1], "*.json"))
	check(err)
	sort.Strings(files)
	lines := []string{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		check(err)
		var one recordedCase
		check(json.Unmarshal(text, &one))
		if one.Oracle.Status != "applied" {
			continue
		}
		lines = append(lines, fmt.Sprintf("%q:[%s]", filepath.Base(file), strings.Join(filters(one), ",")))
	}
	check(os.WriteFile(os.Args[2], []byte("{\n"+strings.Join(lines, ",\n")+"\n}\n"), 0o644))
}

// filters are those of a workload that all policies apply to. As in a cluster, a resource that istiod's validation refuses is left out.
func filters(one recordedCase) []string {
	store := memory.Make(collections.Pilot)
	namespace := "istio-system"
	for _, document := range strings.Split(one.Policies, "\n---\n") {
		configs, _, err := crd.ParseInputs(document)
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
		for _, config := range configs {
			if config.Namespace != "istio-system" {
				namespace = config.Namespace
			}
			if _, err := store.Create(config); err != nil {
				fmt.Fprintln(os.Stderr, err)
			}
		}
	}
	env := &model.Environment{
		ConfigStore: store,
		Watcher:     meshwatcher.NewTestWatcher(&meshconfig.MeshConfig{RootNamespace: "istio-system"}),
	}
	push := &model.PushContext{
		AuthzPolicies:  model.GetAuthorizationPolicies(env),
		AuthnPolicies:  initAuthenticationPolicies(env),
		JwtKeyResolver: resolver,
	}
	proxy := &model.Proxy{
		ID:              "workload",
		ConfigNamespace: namespace,
		Labels:          labels,
		Metadata:        &model.NodeMetadata{Namespace: namespace, Labels: labels},
	}
	var all []*hcm.HttpFilter
	if jwt := authn.NewPolicyApplier(push, proxy, nil).JwtFilter(one.Mode == "gateway"); jwt != nil {
		all = append(all, jwt)
	}
	policies := push.AuthzPolicies.ListAuthorizationPolicies(model.PolicyMatcherForProxy(proxy))
	if authz := builder.New(trustdomain.NewBundle("cluster.local", nil), push, policies, builder.Option{}); authz != nil {
		all = append(all, authz.BuildHTTP()...)
	}
	texts := []string{}
	for _, filter := range all {
		text, err := protojson.MarshalOptions{UseProtoNames: true}.Marshal(filter)
		check(err)
		var compact bytes.Buffer
		check(json.Compact(&compact, text))
		texts = append(texts, compact.String())
	}
	return texts
}

// labels are those that a case selects.
var labels = map[string]string{"app": "a"}

// resolver fetches no keys: no server that a case names exists.
var resolver = model.NewJwksResolver(time.Hour, time.Hour, time.Hour, time.Millisecond)

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
