package refresh

import (
	"strings"
	"time"

	"tokend/fetchers/secret"
)

// uses judges that a call is made with a parent's value. mu is held.
func (w *world) uses(value secret.Text) {
	name, _, _ := strings.Cut(string(value), "#")
	if t := w.names[name]; t != nil && t.dead == string(value) && w.now() > t.died {
		w.violate("%s: used again %v after WeChat has refused it as dead", t.dead, w.now()-t.died)
	}
}

// kills notes that the engine learns that a parent's value is dead. Shortly after an answer of the
// parent the engine need not believe it: WeChat may have repeated the value, or the call is the
// second after the first was answered likewise. mu is held.
func (w *world) kills(value secret.Text) {
	name, gen, _ := strings.Cut(string(value), "#")
	t := w.names[name]
	if t == nil || t.value == nil || grantGen(secret.Text("!"+gen)) != t.value.gen || w.now()-t.answered < 2*time.Minute {
		return
	}
	t.dead, t.died = string(value), w.now()
}
