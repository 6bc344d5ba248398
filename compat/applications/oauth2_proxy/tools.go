// Package main names what is built: see the Makefile.
package main

import _ "github.com/oauth2-proxy/oauth2-proxy/v7/pkg/apis/options"

func main() {}
