#!/bin/bash
# Builds the programs of a mesh into a folder, once: istiod, istio-agent and crane from their Go modules, kube-apiserver and
# kubectl from Kubernetes'. Needs Go 1.26, and etcd and skopeo on the PATH (Debian: etcd-server, skopeo).
#
#   tests/mesh/programs.sh FOLDER
set -euo pipefail
folder=${1:?"the folder that the programs go to"}
istio=v0.0.0-20260827124520-eed52ebb66ad
kubernetes=1.36.3
crane=v0.22.1

for program in go etcd skopeo; do
  command -v "$program" > /dev/null || {
    echo "programs.sh: $program is missing: install it first" >&2
    exit 2
  }
done
mkdir -p "$folder"
folder=$(cd "$folder" && pwd)
work=$(mktemp -d)
trap 'chmod -R u+w "$work"; rm -rf "$work"' EXIT
export GOFLAGS=-mod=mod

if [ ! -x "$folder/pilot-discovery" ]; then
  mkdir "$work/istio"
  cd "$work/istio"
  go mod init mesh 2> /dev/null
  go get "istio.io/istio@$istio"
  for program in pilot-discovery pilot-agent; do
    go build -o "$folder/$program" "istio.io/istio/pilot/cmd/$program"
  done
  sources=$(go list -m -f '{{.Dir}}' istio.io/istio)
  install -m 644 "$sources/manifests/charts/base/files/crd-all.gen.yaml" "$folder/"
  install -m 644 "$sources/tools/packaging/common/envoy_bootstrap.json" "$folder/"
fi

if [ ! -x "$folder/crane" ]; then
  GOBIN=$folder go install "github.com/google/go-containerregistry/cmd/crane@$crane"
fi

if [ ! -x "$folder/kube-apiserver" ]; then
  mkdir "$work/kubernetes"
  cd "$work/kubernetes"
  go mod init mesh 2> /dev/null
  # Kubernetes replaces its own modules by folders of its repository; outside of it they are modules of the same version.
  definition=$(go mod download -json "k8s.io/kubernetes@v$kubernetes" | sed -n 's/.*"GoMod": "\(.*\)",/\1/p')
  for module in $(sed -n 's/^\t\(k8s\.io\/[a-z0-9-]*\) =>.*/\1/p' "$definition"); do
    go mod edit -replace "$module=$module@v0.${kubernetes#1.}"
  done
  go mod edit -require "k8s.io/kubernetes@v$kubernetes"
  printf 'package mesh\nimport (\n\t_ "k8s.io/kubectl/pkg/cmd"\n\t_ "k8s.io/kubernetes/cmd/kube-apiserver/app"\n)\n' > mesh.go
  go mod tidy
  for program in kube-apiserver kubectl; do
    go build -o "$folder/$program" "k8s.io/kubernetes/cmd/$program"
  done
fi
ls "$folder"
