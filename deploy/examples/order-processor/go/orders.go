package main

import (
	"errors"
	"fmt"
	"strconv"
	"time"
)

// process is the work itself: put your own here. It may be called twice for one order.
func process(order map[string]any, duration time.Duration) error {
	text, _ := order["amount"].(string)
	amount, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return fmt.Errorf("amount: %w", err)
	}
	if amount < 0 {
		return errors.New("the amount is negative")
	}
	time.Sleep(duration)
	return nil
}
