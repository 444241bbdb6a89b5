// A worker of a consumer group: takes entries of a Redis stream, works, acknowledges.
//
// An entry is acknowledged after its work, so that none is lost, and one may be done twice: the work must bear that.
// What a worker leaves behind when it dies, the others claim. Put your own work in the place of process.
//
// Needs Redis 7.0 or newer, or Valkey.
package main

import (
	"context"
	"log"
	"os/signal"
	"syscall"
	"time"

	"github.com/redis/go-redis/v9"
)

func main() {
	settings, err := readSettings()
	if err != nil {
		log.Fatal(err)
	}
	options, err := redis.ParseURL(settings.url)
	if err != nil {
		log.Fatalf("REDIS_URL: %v", err)
	}
	options.MaxRetries = -1 // the loop below tries again
	client := redis.NewClient(options)
	defer client.Close()

	stop, cancel := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer cancel()
	// Redis is not asked with stop: an answer that is not read would leave its entries pending.
	ctx := context.Background()
	w := worker{settings: settings, client: client, cursor: "0-0"}
	log.Printf("consumer %s of group %s reads %s", w.consumer, w.group, w.stream)
	for stop.Err() == nil {
		if err := w.step(ctx); err != nil {
			log.Printf("redis: %v", err)
			// It may have come back without its data, or somebody destroyed the group.
			w.joined = false
			select {
			case <-stop.Done():
			case <-time.After(time.Second):
			}
		}
	}
	if err := w.leave(ctx); err != nil {
		log.Printf("redis: %v", err)
	}
}
