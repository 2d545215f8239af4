package store

import "context"

// Rekey seals the store of cfg, which no daemon has open, anew with key instead of cfg.Key. A store
// in clear is sealed if there is no cfg.Key, or with cfg.AcceptClear (else ErrClear); what is
// sealed is never put in clear (ErrKey). Interrupted at any instant, the store opens with the one
// key or with the other, whole; to finish, Rekey is called again. If the store is sealed with key
// already, there is nothing to do.
func Rekey(ctx context.Context, cfg Config, key []byte) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if key == nil {
		return faultf(ErrKey, "a sealed store cannot be put in clear: a new key is needed")
	}
	cfg.AcceptClear = cfg.AcceptClear || cfg.Key == nil
	cfg.oldKey, cfg.Key = cfg.Key, key
	s, err := Open(cfg)
	if err != nil {
		return err
	}
	return s.Close()
}
