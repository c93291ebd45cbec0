package main

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestReorder(t *testing.T) {
	app := newApp(streams{})
	for in, want := range map[string]string{
		"":                                       "",
		"version":                                "version",
		"analyze B --src S --dst D":              "analyze --src S --dst D -- B",
		"analyze --src S B -d D":                 "analyze --src S -d D -- B",
		"analyze -s S -d D B -p 80":              "analyze -s S -d D -p 80 -- B",
		"analyze B --flannel-ip-masq --src S":    "analyze --flannel-ip-masq --src S -- B",
		"analyze B --flannel-backend vxlan -s S": "analyze --flannel-backend vxlan -s S -- B",
		"analyze B --src=S -o -":                 "analyze --src=S -o - -- B",
		"analyze - --flows -":                    "analyze --flows - -- -",
		"analyze B --help":                       "analyze --help",
		"analyze B --unknown --src S":            "analyze --unknown --src S -- B",
		"analyze B --src":                        "analyze --src",
		"analyze B -s S -o":                      "analyze -s S -o",
		"analyze B -s S -h more":                 "analyze -h",
		"analyze B -o -h":                        "analyze -o -h -- B",
		"analyze --src S -- --dst":               "analyze --src S -- --dst",
		"collect -o F node --node N":             "collect node -o F --node N",
		"collect -o node cluster":                "collect cluster -o node",
		"bundle merge OUT A B":                   "bundle merge -- OUT A B",
		"bundle merge node info verify":          "bundle merge -- node info verify",
		"bundle import RAW -o B":                 "bundle import -o B -- RAW",
		"bundle --json info B":                   "bundle info --json -- B",
		"nope analyze -s S":                      "-s S -- nope analyze",
	} {
		got := reorder(app, strings.Fields(in))
		require.Equal(t, want, strings.Join(got, " "), in)
	}
}
