package main

import (
	"fmt"
	"os"
	"strconv"
	"time"
)

// settings are what the environment says.
type settings struct {
	url    string
	stream string
	group  string
	// Where a group that is created begins: "0" with all that is in the stream, "$" with what comes from then on.
	groupStart string
	// One name for each process that lives: on Kubernetes, the name of the pod.
	consumer string
	batch    int64
	block    time.Duration
	// Longer than a batch may take: what is being worked on must not be claimed.
	claimIdle time.Duration
	// An entry that was tried so often goes to the dead letters.
	maxDeliveries int64
	deadLetters   string
	work          time.Duration
}

func readSettings() (settings, error) {
	var problem error
	number := func(name, fallback string) int64 {
		n, err := strconv.ParseInt(setting(name, fallback), 10, 64)
		if err != nil && problem == nil {
			problem = fmt.Errorf("%s: %w", name, err)
		}
		return n
	}
	host, _ := os.Hostname()
	stream := setting("STREAM", "orders")
	s := settings{
		url:           setting("REDIS_URL", "redis://127.0.0.1:6379"),
		stream:        stream,
		group:         setting("GROUP", "processing_group"),
		groupStart:    setting("GROUP_START", "0"),
		consumer:      setting("CONSUMER_NAME", host),
		batch:         number("BATCH", "10"),
		block:         time.Duration(number("BLOCK_MS", "2000")) * time.Millisecond,
		claimIdle:     time.Duration(number("CLAIM_IDLE_MS", "60000")) * time.Millisecond,
		maxDeliveries: number("MAX_DELIVERIES", "3"),
		deadLetters:   setting("DEAD_LETTERS", stream+":dead"),
		work:          time.Duration(number("WORK_MS", "100")) * time.Millisecond,
	}
	return s, problem
}

func setting(name, fallback string) string {
	if value := os.Getenv(name); value != "" {
		return value
	}
	return fallback
}
