// One client of a running gateway through the real Centrifuge SDK; gateway/tests/centrifuge_sdks.rs says what happens around it.
// Arguments: json or protobuf, the gateway's URL, a token, a channel of the user's, a channel of somebody else's.
// It prints live when it stands at offset 20, then takes the offset to reach from standard input, and prints done there.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"reflect"
	"time"

	"github.com/centrifugal/centrifuge-go"
)

type message struct {
	Seq  uint64 `json:"seq"`
	Body string `json:"body"`
}

// patience is the longest wait for anything; far over what a slow machine needs.
const patience = 60 * time.Second

func fail(format string, arguments ...any) {
	fmt.Fprintf(os.Stderr, format+"\n", arguments...)
	os.Exit(1)
}

func must(what string, err error) {
	if err != nil {
		fail("%s: %v", what, err)
	}
}

func next[T any](what string, values <-chan T) T {
	select {
	case value := <-values:
		return value
	case <-time.After(patience):
		fail("%s: nothing came", what)
		panic("unreachable")
	}
}

func main() {
	mode, url, token, channel, foreign := os.Args[1], os.Args[2], os.Args[3], os.Args[4], os.Args[5]
	open := func(token string) *centrifuge.Client {
		config := centrifuge.Config{
			Token:             token,
			MinReconnectDelay: 50 * time.Millisecond,
			MaxReconnectDelay: 250 * time.Millisecond,
			HandshakeTimeout:  patience,
			ReadTimeout:       patience,
		}
		if mode == "protobuf" {
			return centrifuge.NewProtobufClient(url, config)
		}
		return centrifuge.NewJsonClient(url, config)
	}

	refused := open("no token")
	ended := make(chan centrifuge.DisconnectedEvent, 1)
	refused.OnDisconnected(func(event centrifuge.DisconnectedEvent) { ended <- event })
	must("connect", refused.Connect())
	if event := next("a false token", ended); event.Code != 3500 {
		fail("a false token: %+v", event)
	}

	client := open(token)
	connected := make(chan centrifuge.ConnectedEvent, 8)
	client.OnConnected(func(event centrifuge.ConnectedEvent) { connected <- event })
	must("connect", client.Connect())
	if event := next("connect", connected); len(event.ClientID) != 36 {
		fail("connect: %+v", event)
	}

	other, err := client.NewSubscription(foreign)
	must("subscription", err)
	unsubscribed := make(chan centrifuge.UnsubscribedEvent, 1)
	other.OnUnsubscribed(func(event centrifuge.UnsubscribedEvent) { unsubscribed <- event })
	must("subscribe", other.Subscribe())
	if event := next("somebody else's room", unsubscribed); event.Code != 103 {
		fail("somebody else's room: %+v", event)
	}

	seen := make(chan message, 1024)
	subscribed := make(chan centrifuge.SubscribedEvent, 8)
	subscription, err := client.NewSubscription(channel)
	must("subscription", err)
	subscription.OnSubscribed(func(event centrifuge.SubscribedEvent) { subscribed <- event })
	subscription.OnPublication(func(event centrifuge.PublicationEvent) {
		var found message
		must("publication", json.Unmarshal(event.Data, &found))
		if found.Seq != event.Offset {
			fail("publication: %+v at offset %d", found, event.Offset)
		}
		seen <- found
	})
	must("subscribe", subscription.Subscribe())
	first := next("subscribe", subscribed)
	position := centrifuge.StreamPosition{Offset: 0, Epoch: "log"}
	if !first.Recoverable || !first.Positioned || *first.StreamPosition != position {
		fail("subscribe: %+v", first)
	}

	last := uint64(0)
	reach := func(offset uint64, check func(message)) {
		for last < offset {
			found := next(fmt.Sprintf("offset %d", last+1), seen)
			last++
			if found.Seq != last {
				fail("offset %d came where %d was due", found.Seq, last)
			}
			check(found)
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for nth := 1; nth <= 20; nth++ {
		_, err := subscription.Publish(ctx, []byte(fmt.Sprintf(`{"body":"own %d"}`, nth)))
		must("publish", err)
	}
	reach(20, func(found message) {
		if found.Body != fmt.Sprintf("own %d", found.Seq) {
			fail("publication: %+v", found)
		}
	})
	var refusal *centrifuge.Error
	if _, err := subscription.Publish(ctx, []byte(`{"text":"no body"}`)); !errors.As(err, &refusal) || refusal.Code != 107 {
		fail("a publication without a body: %v", err)
	}

	history := func(want []uint64, options ...centrifuge.HistoryOption) {
		result, err := subscription.History(ctx, options...)
		must("history", err)
		offsets := []uint64{}
		for _, publication := range result.Publications {
			offsets = append(offsets, publication.Offset)
		}
		if result.Offset != 20 || result.Epoch != "log" || !reflect.DeepEqual(offsets, want) {
			fail("history: %v at %d, %v wanted", offsets, result.Offset, want)
		}
	}
	history([]uint64{1, 2, 3}, centrifuge.WithHistoryLimit(3))
	since := centrifuge.WithHistorySince(&centrifuge.StreamPosition{Offset: 7, Epoch: "log"})
	history([]uint64{8, 9}, centrifuge.WithHistoryLimit(2), since)
	history([]uint64{20, 19}, centrifuge.WithHistoryLimit(2), centrifuge.WithHistoryReverse(true))
	history([]uint64{})

	presence, err := subscription.Presence(ctx)
	must("presence", err)
	present := false
	for _, info := range presence.Clients {
		var who struct {
			Name string `json:"name"`
		}
		must("presence", json.Unmarshal(info.ConnInfo, &who))
		present = present || who.Name == "go-"+mode
	}
	stats, err := subscription.PresenceStats(ctx)
	must("presence stats", err)
	if !present || stats.NumUsers < 1 {
		fail("presence: %+v, %+v", presence, stats)
	}
	answer, err := client.RPC(ctx, "rooms", []byte(`{}`))
	must("rpc", err)
	var rooms struct {
		Rooms []struct {
			ID string `json:"id"`
		} `json:"rooms"`
	}
	must("rpc", json.Unmarshal(answer.Data, &rooms))
	if len(rooms.Rooms) == 0 || "room:"+rooms.Rooms[0].ID != channel {
		fail("rpc: %s", answer.Data)
	}

	fmt.Println("live")
	var until uint64
	_, err = fmt.Scanln(&until)
	must("the offset to reach", err)
	reach(until, func(message) {})
	again := next("subscribe again", subscribed)
	if !again.WasRecovering || !again.Recovered || len(subscribed) > 0 {
		fail("subscribe again: %+v", again)
	}
	fmt.Println("done")
}
