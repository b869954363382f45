// empty does nothing: five of them in a pipeline take what starting takes.
package main

func main() {}
