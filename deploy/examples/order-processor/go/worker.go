package main

import (
	"context"
	"errors"
	"log"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

type worker struct {
	settings
	client    *redis.Client
	joined    bool
	cursor    string
	nextClaim time.Time
}

// step takes one batch and works it off.
func (w *worker) step(ctx context.Context) error {
	if !w.joined {
		if err := w.join(ctx); err != nil {
			return err
		}
	}
	entries, err := w.abandoned(ctx)
	if err == nil && len(entries) == 0 {
		entries, err = w.fresh(ctx)
	}
	for _, entry := range entries {
		if err := w.do(ctx, entry); err != nil {
			return err
		}
	}
	return err
}

func (w *worker) join(ctx context.Context) error {
	err := w.client.XGroupCreateMkStream(ctx, w.stream, w.group, w.groupStart).Err()
	if err == nil {
		log.Printf("created group %s of %s at %s", w.group, w.stream, w.groupStart)
	} else if !strings.HasPrefix(err.Error(), "BUSYGROUP") { // it is there already
		return err
	}
	// So that it is seen from the start: Redis 7.0 lists a consumer only once it was given something.
	if err := w.client.XGroupCreateConsumer(ctx, w.stream, w.group, w.consumer).Err(); err != nil {
		return err
	}
	w.joined = true
	return nil
}

// fresh are entries that nobody has taken yet; it waits for one for the time of block.
func (w *worker) fresh(ctx context.Context) ([]redis.XMessage, error) {
	streams, err := w.client.XReadGroup(ctx, &redis.XReadGroupArgs{
		Group:    w.group,
		Consumer: w.consumer,
		Streams:  []string{w.stream, ">"},
		Count:    w.batch,
		Block:    w.block,
	}).Result()
	if errors.Is(err, redis.Nil) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return streams[0].Messages, nil
}

// abandoned are entries that a worker took, this one perhaps, and left without a sign for the time of claimIdle.
func (w *worker) abandoned(ctx context.Context) ([]redis.XMessage, error) {
	if time.Now().Before(w.nextClaim) {
		return nil, nil
	}
	claimed, cursor, err := w.client.XAutoClaim(ctx, &redis.XAutoClaimArgs{
		Stream:   w.stream,
		Group:    w.group,
		Consumer: w.consumer,
		MinIdle:  w.claimIdle,
		Start:    w.cursor,
		Count:    w.batch,
	}).Result()
	if err != nil {
		return nil, err
	}
	w.cursor = cursor
	if cursor == "0-0" { // all were looked at: again after a quarter of the time
		w.nextClaim = time.Now().Add(w.claimIdle / 4)
	}
	var entries []redis.XMessage
	for _, entry := range claimed {
		gone, err := w.givenUp(ctx, entry)
		if err != nil {
			return nil, err
		}
		if !gone {
			entries = append(entries, entry)
		}
	}
	return entries, nil
}

// givenUp moves an entry to the dead letters that was tried too often already.
func (w *worker) givenUp(ctx context.Context, entry redis.XMessage) (bool, error) {
	pending, err := w.client.XPendingExt(ctx, &redis.XPendingExtArgs{
		Stream: w.stream, Group: w.group, Start: entry.ID, End: entry.ID, Count: 1,
	}).Result()
	if err != nil || len(pending) == 0 || pending[0].RetryCount <= w.maxDeliveries {
		return false, err
	}
	entry.Values["dead_entry"] = entry.ID
	entry.Values["dead_group"] = w.group
	_, err = w.client.TxPipelined(ctx, func(both redis.Pipeliner) error {
		both.XAdd(ctx, &redis.XAddArgs{Stream: w.deadLetters, Values: entry.Values})
		both.XAck(ctx, w.stream, w.group, entry.ID)
		return nil
	})
	if err != nil {
		return false, err
	}
	log.Printf("gave up entry %s: it is in %s now", entry.ID, w.deadLetters)
	return true, nil
}

func (w *worker) do(ctx context.Context, entry redis.XMessage) error {
	if err := process(entry.Values, w.work); err != nil {
		// Not acknowledged: it is claimed, and tried again, after the time of claimIdle.
		log.Printf("entry %s failed: %v", entry.ID, err)
		return nil
	}
	return w.client.XAck(ctx, w.stream, w.group, entry.ID).Err()
}

// leave deletes the consumer, so that the names of pods that are gone do not pile up.
func (w *worker) leave(ctx context.Context) error {
	pending, err := w.client.XPendingExt(ctx, &redis.XPendingExtArgs{
		Stream: w.stream, Group: w.group, Consumer: w.consumer, Start: "-", End: "+", Count: 1,
	}).Result()
	if err != nil {
		return err
	}
	// Never one that holds entries: they would not be pending any more, and nobody would do them.
	if len(pending) > 0 {
		log.Print("stopped; the others claim what is pending")
		return nil
	}
	log.Print("stopped; nothing is pending")
	return w.client.XGroupDelConsumer(ctx, w.stream, w.group, w.consumer).Err()
}
