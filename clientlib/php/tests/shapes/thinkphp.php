<?php

declare(strict_types=1);

// The shape of ThinkPHP's query builder that docs/programs.md uses. A table is a file.

namespace think\facade;

final class Db
{
    private string $id = '';

    private function __construct(private string $file)
    {
    }

    public static function name(string $table): self
    {
        return new self(sys_get_temp_dir() . "/table-$table.json");
    }

    public function where(string $column, string $value): self
    {
        $this->id = "$column=$value";
        return $this;
    }

    public function find(): ?array
    {
        $row = $this->rows()[$this->id] ?? null;
        \meet();
        return $row;
    }

    public function insert(array $row): void
    {
        $this->change('appid=' . $row['appid'], $row);
    }

    public function update(array $columns): void
    {
        $this->change($this->id, $columns);
    }

    private function change(string $id, array $columns): void
    {
        $lock = fopen("$this->file.lock", 'c');
        flock($lock, LOCK_EX);
        $rows = $this->rows();
        $rows[$id] = $columns + ($rows[$id] ?? []);
        file_put_contents("$this->file.new", json_encode($rows));
        rename("$this->file.new", $this->file);
    }

    private function rows(): array
    {
        return is_file($this->file) ? json_decode((string) file_get_contents($this->file), true) : [];
    }
}
