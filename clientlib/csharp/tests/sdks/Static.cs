// Static prints the token of the static class of docs/csharp.md, before or after.
static class Static
{
    static void Main() { System.Console.WriteLine(WorkToken.Get()); }
}
