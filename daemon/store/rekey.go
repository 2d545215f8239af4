package store

import "context"

// Rekey reseals the store of cfg with key instead of cfg.Key. No daemon may have the store open. A
// store in clear is sealed if there is no cfg.Key, or with cfg.AcceptClear; otherwise the error is
// ErrClear. A sealed store is never converted to clear (ErrKey). After an interruption at any
// instant, the complete store opens with one of the two keys; calling Rekey again finishes. If the
// store is already sealed with key, Rekey does nothing.
func Rekey(ctx context.Context, cfg Config, key []byte) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if key == nil {
		return faultf(ErrKey, "a sealed store cannot be converted to clear: a new key is required")
	}
	cfg.AcceptClear = cfg.AcceptClear || cfg.Key == nil
	cfg.oldKey, cfg.Key = cfg.Key, key
	s, err := Open(cfg)
	if err != nil {
		return err
	}
	return s.Close()
}
