package harness

// Family is a victim of many processes, in one of the shapes that family.c knows.
func Family(shape string) *Victim {
	return &Victim{Name: "family", Args: []string{"./family", shape}, Prepare: CompiledC("family")}
}
