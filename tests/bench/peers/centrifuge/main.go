// A chat server on the centrifuge library, for comparison: tokens are checked, clients subscribe to their rooms and publish into them.
// It keeps nothing: no history, no presence, the memory engine. The library's own defaults decide the rest.
package main

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"flag"
	"log"
	"net/http"
	"strings"
	"time"

	"github.com/centrifugal/centrifuge"
)

// user returns who a token of the form name.hex(HMAC-SHA256(key, name)) belongs to.
func user(token string, key []byte) (string, bool) {
	name, given, found := strings.Cut(token, ".")
	if !found {
		return "", false
	}
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(name))
	sum, err := hex.DecodeString(given)
	return name, err == nil && hmac.Equal(sum, mac.Sum(nil))
}

func main() {
	address := flag.String("address", "127.0.0.1:8000", "where to listen")
	key := flag.String("key", "", "key of the tokens")
	flag.Parse()

	node, err := centrifuge.New(centrifuge.Config{LogLevel: centrifuge.LogLevelError})
	if err != nil {
		log.Fatal(err)
	}
	node.OnConnecting(func(_ context.Context, event centrifuge.ConnectEvent) (centrifuge.ConnectReply, error) {
		name, ok := user(event.Token, []byte(*key))
		if !ok {
			return centrifuge.ConnectReply{}, centrifuge.DisconnectInvalidToken
		}
		return centrifuge.ConnectReply{Credentials: &centrifuge.Credentials{UserID: name}}, nil
	})
	node.OnConnect(func(client *centrifuge.Client) {
		client.OnSubscribe(func(_ centrifuge.SubscribeEvent, reply centrifuge.SubscribeCallback) {
			reply(centrifuge.SubscribeReply{}, nil)
		})
		client.OnPublish(func(event centrifuge.PublishEvent, reply centrifuge.PublishCallback) {
			if !client.IsSubscribed(event.Channel) {
				reply(centrifuge.PublishReply{}, centrifuge.ErrorPermissionDenied)
				return
			}
			reply(centrifuge.PublishReply{}, nil)
		})
	})
	if err := node.Run(); err != nil {
		log.Fatal(err)
	}
	http.Handle("/connection/websocket", centrifuge.NewWebsocketHandler(node, centrifuge.WebsocketConfig{}))
	server := &http.Server{Addr: *address, ReadHeaderTimeout: 10 * time.Second}
	log.Fatal(server.ListenAndServe())
}
