package config

// pace lets other work have the processor while a large configuration is read.
type pace struct {
	pause func() // nil for none
	steps int
}

// stepsPerPause is the number of steps, of up to 0.5 us each, between two pauses.
const stepsPerPause = 256

// step is called after each step.
func (p *pace) step() {
	if p.steps++; p.steps%stepsPerPause == 0 {
		p.rest()
	}
}

// rest is called after a step of many microseconds.
func (p *pace) rest() {
	if p.pause != nil {
		p.pause()
	}
}
